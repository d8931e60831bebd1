"""An OpenEnv environment that has a tool by MCP: python openenv_tools.py --port 8000"""

import argparse

import uvicorn
from fastmcp import FastMCP
from openenv.core.env_server.http_server import create_app
from openenv.core.env_server.mcp_environment import MCPEnvironment
from openenv.core.env_server.mcp_types import CallToolAction, CallToolObservation
from openenv.core.env_server.types import Observation, State


class Adding(MCPEnvironment):
    """Rewards each call of its tool, and ends after the second."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        tools = FastMCP("adding")

        @tools.tool
        def add(a: int, b: int) -> int:
            """Adds two numbers."""
            return a + b

        super().__init__(tools)
        self._state = State()

    def reset(self, seed=None, episode_id=None, **kwargs):
        self._state = State(episode_id=episode_id)
        return Observation(metadata={"message": "Add two numbers, twice."})

    def _step_impl(self, action, timeout_s=None, **kwargs):
        raise ValueError("call a tool")

    async def step_async(self, action, timeout_s=None, **kwargs):
        observation = await super().step_async(action, timeout_s, **kwargs)
        self._state.step_count += 1
        observation.reward = 0.5
        observation.done = self._state.step_count == 2
        return observation

    @property
    def state(self):
        return self._state


app = create_app(Adding, CallToolAction, CallToolObservation, env_name="adding", max_concurrent_envs=8)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port)
