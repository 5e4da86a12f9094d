"""Key ceremonies (密钥仪式): components, slips, prompts. Nothing here opens a network socket."""
