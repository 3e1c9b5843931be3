"""What the service can take, measured on real parts and next to a floor without twins."""
