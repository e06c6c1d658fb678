"""netctl: the operator's command line. It speaks REST to netmaster and knows nothing else."""
