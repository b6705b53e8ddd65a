"""At rest: new wishes, what runs without a record, drift, checks that go on."""
