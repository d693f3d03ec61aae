"""Electronic signatures: judged (`verify`), made for tests and the demo (`sign`), and sealed content (`sealing`)."""
