// Package docs holds no program: its tests try what the documents beside it
// promise, above all that a snapshot can be restored without this program.
package docs
