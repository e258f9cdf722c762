"""Floor 1: orders and money; what is true, and the event each change raises.

``publish`` is the door for foreign code: it joins the caller's own SQLAlchemy transaction.
"""

from engine.events import EventDraft, publish

__all__ = ["EventDraft", "publish"]
