module lisle/benches/servers

go 1.21
