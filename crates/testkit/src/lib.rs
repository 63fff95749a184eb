//! Real servers, fake transports and measuring for the tests.
