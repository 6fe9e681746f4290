"""Sessions of starsessions, Flask-Session, Django or your own become ours while both are in use; nobody is logged out."""

from typing import TYPE_CHECKING

from session_store._core.lazy import lazily

if TYPE_CHECKING:
    from session_store.web.migrating._async.blobs import AsyncRedisBlobs
    from session_store.web.migrating._async.migration import AsyncMigration
    from session_store.web.migrating._core.formats import OldSession, flask_session, json_object, starsessions
    from session_store.web.migrating._sync.blobs import RedisBlobs
    from session_store.web.migrating._sync.migration import Migration

# Each name is loaded when it is first used, as in the package.
_HOMES = {
    "_async.blobs": ("AsyncRedisBlobs",),
    "_async.migration": ("AsyncMigration",),
    "_core.formats": ("OldSession", "flask_session", "json_object", "starsessions"),
    "_sync.blobs": ("RedisBlobs",),
    "_sync.migration": ("Migration",),
}

__all__ = [
    "AsyncMigration",
    "AsyncRedisBlobs",
    "Migration",
    "OldSession",
    "RedisBlobs",
    "flask_session",
    "json_object",
    "starsessions",
]

__getattr__, __dir__ = lazily(globals(), _HOMES)
