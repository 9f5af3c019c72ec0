# program: llm
# asks: prompt with an attachment, by a model of extra-openai-models.yaml
# packages: llm==0.36

import os
import subprocess
import sys
from pathlib import Path

from compat_scenes import QUESTION, SCENES, URL, tell

home = Path(os.environ["HOME"])
line = "- {model_id: our-MODEL, model_name: MODEL, api_base: URL/v1, vision: true}\n".replace("URL", URL)
home.joinpath("extra-openai-models.yaml").write_text(
    "".join(line.replace("MODEL", one) for one in ("gemma", "moondream"))
)


def asked(model, scene):
    command = [sys.executable, "-m", "llm", "-m", f"our-{model}", QUESTION, "-a", scene["picture"]]
    env = {**os.environ, "LLM_USER_PATH": str(home), "PYTHONPATH": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else done.stderr


for scene in SCENES:
    tell("gemma", lambda: asked("gemma", scene), scene["count"])
    tell("moondream", lambda: asked("moondream", scene), scene["count"])
