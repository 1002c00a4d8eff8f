"""What a trace and its gradients tell; nothing here trains."""
