/** `sod` as a library. */
export type { Agent } from './agent/agent.ts';
export { type Rollout, type RolloutLimits, rollout, type Verdict } from './agent/rollout.ts';
export { type RolloutsOptions, rollouts } from './agent/rollouts.ts';
export type { Step, Trajectory, TrajectoryEnd } from './agent/trajectory.ts';
export { type AgentOptions, type OpenAgent, openAgent } from './chat/openAgent.ts';
export { type CollectOptions, type CollectProgress, collect } from './collect/collect.ts';
export type { DatasetReference, DownloadControl } from './data/dataset.ts';
export type { CodeTests, Task } from './data/task.ts';
export { openDemonstrations, openTasks } from './data/tasks.ts';
export { LocalEngine, type LocalEngineOptions } from './engine/local/engine.ts';
export type { ConnectionOptions } from './engine/openai/connection.ts';
export { OpenAIEngine } from './engine/openai/engine.ts';
export { TinkerEngine, type TinkerEngineOptions } from './engine/tinker/engine.ts';
export type * from './engine/types.ts';
export { UserError } from './errors.ts';
export { type Benchmark, parseBenchmarks } from './eval/benchmarks.ts';
export { type Evaluation, type EvaluationSettings, evaluate } from './eval/evaluate.ts';
export { type BenchmarkOptions, evaluateBenchmarks } from './eval/evaluateBenchmarks.ts';
export { evaluateCheckpoint } from './eval/evaluateCheckpoint.ts';
export { majority, passAtK } from './eval/metrics.ts';
export type { BenchmarkControl, BenchmarkProgress } from './eval/problemSets.ts';
export type { SamplingSettings } from './eval/sampling.ts';
export { type Aggregation, lossWeights } from './methods/aggregation.ts';
export { type DistillationOptions, distill } from './methods/distillation.ts';
export { grpo } from './methods/grpo.ts';
export {
  defineMethod,
  type GroupAdvantages,
  type Method,
  type MethodMaker,
  type StepWeighting,
} from './methods/method.ts';
export { naiveOpd, opd } from './methods/opd.ts';
export { opsdGt, opsdHint } from './methods/opsd.ts';
export { outcomeAdvantages } from './methods/outcome.ts';
export { sod } from './methods/sod.ts';
export { stepDivergences, stepRanges, stepWeights } from './methods/stepwise.ts';
export { decayAfterError, type StepWeigher, stepwise, uniform } from './methods/weighting.ts';
export { Random } from './random.ts';
export {
  CodeGrader,
  type CodeGraderOptions,
  type CodeScore,
  type Verdict as TestVerdict,
} from './rewards/code/grader.ts';
export { MathComparer } from './rewards/equivalence/comparer.ts';
export { lastBoxed, mathReward } from './rewards/math.ts';
export { type RunningServer, type ServeOptions, serve } from './serve/server.ts';
export { type RunningTinkerServer, serveTinker, type TinkerServeOptions } from './serve/tinker/server.ts';
export type { Chat, ParsedTurn } from './text/chat.ts';
export { type ChatOptions, loadChat } from './text/loadChat.ts';
export type { Message, ToolCall, ToolSchema } from './text/message.ts';
export { type CallLimits, type CallResult, callTool } from './tools/call.ts';
export type { McpServer } from './tools/mcp/servers.ts';
export { type ToolProfile, toolPresets } from './tools/profile.ts';
export { PythonPool, type PythonPoolOptions } from './tools/python/pool.ts';
export { pythonTool } from './tools/python/tool.ts';
export { SandboxFusion, type SandboxFusionPlace } from './tools/sandboxFusion/server.ts';
export { defineTool, type Tool, ToolError } from './tools/tool.ts';
export type { EvaluationMetrics } from './train/evaluationMetrics.ts';
export { initializeCheckpoint } from './train/initialize.ts';
export { loadRecipe, parseRecipe, type Recipe, type RecipeInput } from './train/recipe.ts';
export type { Metrics } from './train/runDirectory.ts';
export { type TrainOptions, type TrainResult, train } from './train/train.ts';
export type { TrainEvent } from './train/trainEvent.ts';
export { type DatasetWorld, openDatasetWorld } from './worlds/dataset.ts';
export type { WorldKit } from './worlds/kit.ts';
export { type OpenWorld, openWorld, type WorldFactory } from './worlds/open.ts';
export { shopWorld } from './worlds/shop/world.ts';
export type { World } from './worlds/world.ts';
