//! Harness for tests over the real relay and the real agent.
