"""The nouns: geometry, volume, masks, report, study, prompt, map. numpy only."""
