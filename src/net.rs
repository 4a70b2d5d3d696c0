//! Sockets: the names and methods of `std::net`, and an operation that would block lets other tasks
//! run.
