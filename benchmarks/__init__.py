"""What the library costs and what it keeps, side by side with what else there is: `make bench`."""
