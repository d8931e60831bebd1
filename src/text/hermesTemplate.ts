import type { TokenizerJson } from './tokenizerJson.ts';

/**
 * Tools for chat templates that know nothing of them: put before such a template, this tells the tools in the system message,
 * writes calls into what the assistant said and answers into what the user says, between markers of the Hermes format in plain
 * text, and leaves the rest to the template.
 */
const tools = `{%- set hermes = namespace(messages=[], answers='', turn='') %}
{%- if tools %}
    {%- set hermes.turn = "# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\n" %}
    {%- set hermes.turn = hermes.turn + "You are provided with function signatures within <tools></tools> XML tags:\\n<tools>" %}
    {%- for tool in tools %}
        {%- set hermes.turn = hermes.turn + "\\n" + (tool | tojson) %}
    {%- endfor %}
    {%- set hermes.turn = hermes.turn + "\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within " %}
    {%- set hermes.turn = hermes.turn + "<tool_call></tool_call> XML tags:\\n<tool_call>\\n" %}
    {%- set hermes.turn = hermes.turn + '{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call>' %}
    {%- if messages[0].role == 'system' %}
        {%- set hermes.turn = messages[0].content + "\\n\\n" + hermes.turn %}
        {%- set messages = messages[1:] %}
    {%- endif %}
    {%- set hermes.messages = [{'role': 'system', 'content': hermes.turn}] %}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- set hermes.answers = hermes.answers + ("\\n" if hermes.answers else "") %}
        {%- set hermes.answers = hermes.answers + "<tool_response>\\n" + message.content + "\\n</tool_response>" %}
    {%- else %}
        {%- if hermes.answers %}
            {%- set hermes.messages = hermes.messages + [{'role': 'user', 'content': hermes.answers}] %}
            {%- set hermes.answers = '' %}
        {%- endif %}
        {%- set hermes.turn = message.content or '' %}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function or call %}
            {%- set hermes.turn = hermes.turn + ("\\n" if hermes.turn else "") + '<tool_call>\\n{"name": "' + call.name + '", "arguments": ' %}
            {%- set hermes.turn = hermes.turn + (call.arguments if call.arguments is string else call.arguments | tojson) + "}\\n</tool_call>" %}
        {%- endfor %}
        {%- set hermes.messages = hermes.messages + [{'role': message.role, 'content': hermes.turn}] %}
    {%- endif %}
{%- endfor %}
{%- if hermes.answers %}
    {%- set hermes.messages = hermes.messages + [{'role': 'user', 'content': hermes.answers}] %}
{%- endif %}
{%- set messages = hermes.messages %}
`;

/** The template, which from now on knows tools, where it says nothing of them and no tokens are markers of calls. */
export function withTools(template: string, { added_tokens: added }: TokenizerJson): string {
  const knows = /tool/i.test(template) || added.some(({ content }) => content === '<tool_call>');
  return knows ? template : tools + template;
}
