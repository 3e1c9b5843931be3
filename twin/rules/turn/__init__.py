"""One event on its way through the rules of one instrument; `twin.rules.engine` says in which order."""
