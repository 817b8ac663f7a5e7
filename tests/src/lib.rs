//! Nothing but a place for the tests of the whole: `tests/e2e` against the real binaries, `tests/tidy` over
//! the sources, `browser` for the web app.
