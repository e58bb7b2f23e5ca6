"""What every engine shares: the contract, a trial's rows, schedule, seeds, scores and kinds; imports no TensorFlow."""
