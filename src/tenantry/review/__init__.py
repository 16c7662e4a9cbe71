"""What a reviewer of a plan gets besides its steps: a calibration of the server, samples of the data, and a signature."""
