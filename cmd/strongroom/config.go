package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"strongroom/internal/safe/config"
	"strongroom/internal/ui"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check the configuration, or begin one", Args: args(1, -1, "what to do: check, schema or example")}
	cmd.AddCommand(
		&cobra.Command{Use: "check", Short: "Check the configuration", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			a.talk().Printf("The configuration of safe %s is sound: %s sources.", cfg.Safe, ui.Count(int64(len(cfg.Sources))))
			a.talk().Emit("config", map[string]any{"safe": cfg.Safe, "store": cfg.Store, "sources": len(cfg.Sources)})
			return nil
		}},
		&cobra.Command{Use: "schema", Short: "Write the JSON Schema of a configuration, for editors", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(config.Schema())
			return err
		}},
		&cobra.Command{Use: "example", Short: "Write a configuration to begin with", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.stdout, config.Example())
			return err
		}},
	)
	return cmd
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a.talk().Printf("strongroom %s, %s, %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			a.talk().Emit("version", map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			return nil
		},
	}
}
