// The X.509 library's decorators need this before they are loaded; as a file of its own, because a bundler runs a bare import of a
// script after all modules that stand beside it.
import "reflect-metadata";
