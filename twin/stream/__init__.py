"""From broker to events and back: topics, codecs (pure), the MQTT reader and writer."""
