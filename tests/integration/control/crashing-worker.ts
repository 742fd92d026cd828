// A worker that exits before it says anything.
process.exit(3);
