"""What must happen: pure functions from a spec and facts to a Plan, one module per intent."""
