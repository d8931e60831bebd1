import type { CallToolResult, ContentBlock } from '@modelcontextprotocol/client';

/** What a model reads of a result: its texts, a line each; where there is none, its structured content as JSON. */
export function textOf({ content, structuredContent }: CallToolResult): string {
  if (content.length === 0 && structuredContent !== undefined) return JSON.stringify(structuredContent);
  return content.map(blockText).join('\n');
}

function blockText(block: ContentBlock): string {
  switch (block.type) {
    case 'text':
      return block.text;
    case 'resource_link':
      return [`${block.name}: ${block.uri}`, block.description].filter(Boolean).join(' – ');
    case 'resource':
      return 'text' in block.resource ? block.resource.text : leftOut(`${block.resource.uri}`, block.resource.mimeType);
    default:
      return leftOut(block.type, block.mimeType);
  }
}

function leftOut(what: string, mimeType = 'of an unknown type'): string {
  return `[left out: ${what}, ${mimeType}]`;
}
