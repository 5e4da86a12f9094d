"""The kiosk's page: what stands between a View and the patient's eyes, and a finger and a Tap."""

from terminal_agent.config import PageConfig
from terminal_agent.page.hands import Hands, PanelAction, PanelView
from terminal_agent.page.site import PageSite
from terminal_agent.page.stage import Stage

__all__ = ["Hands", "PageConfig", "PageSite", "PanelAction", "PanelView", "Stage"]
