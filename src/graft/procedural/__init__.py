"""Pictures that the package makes itself, to pre-train networks on."""

from graft.procedural.scenes import UNSEEN, Picture, Scenes

__all__ = ["UNSEEN", "Picture", "Scenes"]
