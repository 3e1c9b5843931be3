"""Digital twins of shared scientific instruments: state, rules, ledger, store and service."""
