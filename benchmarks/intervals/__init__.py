"""Coverage of the quantiles before and after calibration."""
