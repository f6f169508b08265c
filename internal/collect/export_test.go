package collect

import (
	"context"

	"strongroom/internal/store/chunk"
)

// RunCut is Run with other sizes of the chunks of files, so that one of a few
// megabytes has as many as one of terabytes.
func RunCut(ctx, pull context.Context, in Input, sizes chunk.Sizes) (Result, error) {
	c, err := begin(ctx, in, nil)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	c.files = chunk.NewCutter(chunk.NewTable(in.Cut[:]), sizes)
	return c.run(ctx, pull)
}
