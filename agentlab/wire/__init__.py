"""Values and bytes: addresses, channels, messages, serializers, topics. Nothing here does I/O."""
