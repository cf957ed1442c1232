//! The built `clawr` binary as processes: started, watched, killed.
