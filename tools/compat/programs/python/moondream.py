# program: moondream (Python)
# asks: caption, query, stream
# packages: pillow
# without dependencies: moondream==2.6.1

import moondream
from compat_scenes import QUESTION, SCENES, URL, tell
from PIL import Image

model = moondream.vl(endpoint=f"{URL}/v1")

for scene in SCENES:
    image = Image.open(scene["picture"])
    tell("caption", lambda: model.caption(image)["caption"], scene["caption"])
    tell("query", lambda: model.query(image, QUESTION)["answer"], scene["count"])
    tell("stream", lambda: "".join(model.query(image, QUESTION, stream=True)["answer"]), scene["count"])
