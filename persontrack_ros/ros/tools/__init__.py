"""Programs that run the nodes in processes of their own: demo, replay, benchmarks, soak."""
