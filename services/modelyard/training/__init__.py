"""Fine-tune base weights into an adapter: Ray Train + DeepSpeed + PEFT."""
