"""The table of skills: what a task's parameters, job and answers are, whatever the dialect.

A module a skill. A dialect asks `SKILLS` or takes a class from here, and has no branches over tasks.
"""

from __future__ import annotations

from looksee.core.tasks import Task
from looksee.http.skills.caption import CaptionSkill as CaptionSkill
from looksee.http.skills.classify import ClassifySkill as ClassifySkill
from looksee.http.skills.collective import CollectiveSkill as CollectiveSkill
from looksee.http.skills.detect import DetectSkill as DetectSkill
from looksee.http.skills.point import PointSkill as PointSkill
from looksee.http.skills.query import QuerySkill as QuerySkill
from looksee.http.skills.skill import Skill as Skill

SKILLS: dict[Task, type[Skill]] = {
    skill.task: skill for skill in (CaptionSkill, CollectiveSkill, QuerySkill, DetectSkill, PointSkill, ClassifySkill)
}
