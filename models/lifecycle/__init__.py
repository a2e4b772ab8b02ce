"""When to retrain, and which model version is promoted.

Its face: `decide_training`, `TrainingDecision`, `PromotionDecision`.
"""
