"""TimescaleDB: the log, the books, checkpoints, and the questions asked of them."""

from twin.store.commit import Batch, Past, Store
from twin.store.names import Ids, Names

__all__ = ["Batch", "Ids", "Names", "Past", "Store"]
