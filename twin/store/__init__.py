"""TimescaleDB: the log, the books, checkpoints, and the questions asked of them."""

from twin.store.commit import Batch, Ids, Store

__all__ = ["Batch", "Ids", "Store"]
