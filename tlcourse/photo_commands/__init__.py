"""The commands for photographs: `tlcourse finetune` and `tlcourse predict`."""
