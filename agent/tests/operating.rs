//! The program itself, run as a person or a service manager runs it.

mod operating {
    mod explain;
    mod program;
    mod run;
    mod tap;
    mod validate;
}
