"""Images that the package makes itself, to pre-train networks on."""

from graft.procedural.scenes import UNSEEN, GeneratedImage, Scenes

__all__ = ["UNSEEN", "GeneratedImage", "Scenes"]
