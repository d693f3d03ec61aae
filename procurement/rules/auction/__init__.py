"""The kinds of live auction, one module each, behind the same few names: `decide`, `decide_all`, `allowed_amount`."""
