"""What the pipeline announces: notices on the topic, events on the bus."""
