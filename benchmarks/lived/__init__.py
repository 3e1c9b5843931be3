"""A past for a site: lived through in virtual time, and recorded as if the service had run all the while."""
