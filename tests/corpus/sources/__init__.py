"""The mails under tests/corpus, written as code: one module for each family."""
