"""What a study, a trial and a data set are: pure values, no input or output, no clock, no global randomness."""
