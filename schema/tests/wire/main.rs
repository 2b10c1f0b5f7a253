//! The wire, tested from outside: against messages that others wrote, against FlatBuffers' own code, and against
//! whatever bytes a peer may think of. The tests beside the code know its insides; these know only its promises.

mod allocation;
mod hostile;
mod oracle;
mod ours;
mod pages;
mod vectors;
mod writer;
