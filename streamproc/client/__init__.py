"""What upstream platforms use: store a recording and announce it."""
